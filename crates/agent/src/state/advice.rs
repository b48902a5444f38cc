use chancery_pki::UnixTime;
use serde::{Deserialize, Serialize};

/// What the CA advises on the renewal of one certificate (RFC 9773), and when it is asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Advice {
    /// The certificate that it is about (RFC 9773 §4.1). Advice on another one counts as none.
    pub(crate) certificate: String,
    /// When the CA is asked again, in seconds since 1970.
    pub(crate) ask_at: i64,
    /// Questions in a row that met no answer.
    #[serde(default)]
    pub(crate) failures: u32,
    /// The window that the CA told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) window: Option<Window>,
}

/// A window with the moment that was drawn in it. The draw is kept, so that it is made once however often the agent runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    /// Its first second, since 1970.
    pub(crate) start: i64,
    /// Its end.
    pub(crate) end: i64,
    /// When to renew.
    pub(crate) drawn: i64,
    /// The URL of a page for people on why. It is shown and never opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) explanation: Option<String>,
}

impl Advice {
    /// None yet: the CA is to be asked at once.
    pub(crate) fn unasked(certificate: String) -> Self {
        Self {
            certificate,
            ask_at: i64::MIN,
            failures: 0,
            window: None,
        }
    }

    pub(crate) fn ask_at(&self) -> UnixTime {
        UnixTime(self.ask_at)
    }
}
