//! What must not have happened after something bad was tried (`failures.md`, section 1).

use crate::Authority;

/// How the authority was before; [`Calm::holds`] compares.
#[derive(Debug)]
pub struct Calm {
    pid: u32,
    certificates: usize,
    internal_errors: f64,
    errors: f64,
}

impl Authority {
    /// Looks at the authority before something bad is tried.
    #[must_use]
    pub fn calm(&self) -> Calm {
        Calm {
            pid: self.pid(),
            certificates: self.certificates().len(),
            internal_errors: internal_errors(self),
            errors: errors(self),
        }
    }
}

impl Calm {
    /// No certificate more, the same process without a panic, no internal error told, and the refusals are counted.
    ///
    /// # Panics
    /// When one of these does not hold.
    pub fn holds(&self, authority: &Authority) {
        assert!(authority.is_running(), "the server is alive");
        assert_eq!(authority.pid(), self.pid, "it is the same process");
        assert!(
            !authority.output().contains("panicked"),
            "{}",
            authority.output()
        );
        assert_eq!(
            authority.certificates().len(),
            self.certificates,
            "nothing was issued"
        );
        let internal = internal_errors(authority) - self.internal_errors;
        assert!(
            internal == 0.0,
            "no serverInternal was told, but {internal} were"
        );
    }

    /// The same, and this many requests at least were counted as refused.
    ///
    /// # Panics
    /// When one of these does not hold.
    pub fn holds_and_counted(&self, authority: &Authority, refusals: usize) {
        self.holds(authority);
        let counted = errors(authority) - self.errors;
        let expected = u32::try_from(refusals).expect("a test refuses less");
        assert!(
            counted >= f64::from(expected),
            "{expected} refusals are counted, not {counted}"
        );
    }
}

fn internal_errors(authority: &Authority) -> f64 {
    let name = "chancery_acme_errors_total{type=\"serverInternal\"}";
    authority.metric(name).unwrap_or_default()
}

fn errors(authority: &Authority) -> f64 {
    let text = authority.machine_page("/metrics").text();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("chancery_acme_errors_total{"));
    lines
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}
