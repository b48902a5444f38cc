//! How http-01 is answered (RFC 8555 §8.3): by a listener of our own, or by files in a web server's folder. Whatever
//! was put up is taken away when the [`Solver`] is dropped, however the order ended.

mod listener;
mod webroot;

use chancery_acme::Token;

use crate::{AgentError, Http01};

use self::listener::Listener;
pub(crate) use self::webroot::Webroot;

/// A place where answers can be put up.
pub(crate) enum Solver {
    Listener(Listener),
    Webroot(Webroot),
}

impl Solver {
    /// Binds the port or checks the folder: what cannot work shows before the CA is asked for anything.
    pub(crate) async fn open(http01: &Http01) -> Result<Self, AgentError> {
        match http01 {
            Http01::Listen(addr) => Listener::bind(*addr).await.map(Self::Listener),
            Http01::Webroot(folder) => Webroot::open(folder).map(Self::Webroot),
        }
    }

    /// Takes everything down. When this is over the port is free; dropping a solver frees it some time later.
    pub(crate) async fn close(self) {
        if let Self::Listener(listener) = self {
            listener.close().await;
        }
    }

    /// Puts up one answer.
    pub(crate) fn put(&mut self, token: &Token, key_authorization: &str) -> Result<(), AgentError> {
        match self {
            Self::Listener(listener) => {
                listener.put(token, key_authorization);
                Ok(())
            }
            Self::Webroot(webroot) => webroot.put(token, key_authorization),
        }
    }
}
