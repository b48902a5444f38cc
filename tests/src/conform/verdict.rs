//! What a statement is, and what can be found about it.

use super::Target;

/// How strongly a statement is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The RFC demands it.
    Must,
    /// The RFC recommends it; a server that does otherwise may still be right.
    Should,
    /// Our own addition where the RFC is silent.
    Own,
}

impl Level {
    /// The word in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::Own => "own",
        }
    }
}

/// What was found about one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is true of the server.
    Holds,
    /// What is demanded holds; what is recommended beside it does not.
    Partly(String),
    /// It is not: what was asked, and what was answered instead.
    Fails(String),
    /// It could not be asked: the server does not offer the thing, or nobody can see it from outside.
    NotOffered(String),
}

/// Why a check ended before the end, where it would have found that the statement holds.
#[derive(Debug)]
pub(super) enum Short {
    Fails(String),
    /// Everything demanded was found to hold before this.
    Recommended(String),
    NotOffered(String),
}

/// What a check gives.
pub(super) type Outcome = Result<(), Short>;

impl From<String> for Short {
    fn from(text: String) -> Self {
        Self::Fails(text)
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(()) => Self::Holds,
            Err(Short::Fails(text)) => Self::Fails(text),
            Err(Short::Recommended(text)) => Self::Partly(text),
            Err(Short::NotOffered(text)) => Self::NotOffered(text),
        }
    }
}

/// One statement about a server.
#[derive(Debug)]
pub struct Check {
    /// Its number in our reading of the RFC.
    pub number: u8,
    /// The section of RFC 8555.
    pub section: &'static str,
    /// How strongly it is said.
    pub level: Level,
    /// The statement in one sentence.
    pub says: &'static str,
    run: Run,
}

#[derive(Debug)]
enum Run {
    /// Asks the server.
    Ask(fn(&Target) -> Outcome),
    /// Judges every answer that the others got.
    LookBack(fn(&Target) -> Outcome),
    /// Cannot be asked, and why.
    Unseen(&'static str),
}

impl Check {
    pub(super) const fn must(
        number: u8,
        section: &'static str,
        says: &'static str,
        ask: fn(&Target) -> Outcome,
    ) -> Self {
        Self::new(number, section, Level::Must, says, Run::Ask(ask))
    }

    pub(super) const fn should(
        number: u8,
        section: &'static str,
        says: &'static str,
        ask: fn(&Target) -> Outcome,
    ) -> Self {
        Self::new(number, section, Level::Should, says, Run::Ask(ask))
    }

    pub(super) const fn own(
        number: u8,
        section: &'static str,
        says: &'static str,
        ask: fn(&Target) -> Outcome,
    ) -> Self {
        Self::new(number, section, Level::Own, says, Run::Ask(ask))
    }

    pub(super) const fn look_back(
        number: u8,
        section: &'static str,
        level: Level,
        says: &'static str,
        judge: fn(&Target) -> Outcome,
    ) -> Self {
        Self::new(number, section, level, says, Run::LookBack(judge))
    }

    pub(super) const fn unseen(
        number: u8,
        section: &'static str,
        level: Level,
        says: &'static str,
        why: &'static str,
    ) -> Self {
        Self::new(number, section, level, says, Run::Unseen(why))
    }

    const fn new(
        number: u8,
        section: &'static str,
        level: Level,
        says: &'static str,
        run: Run,
    ) -> Self {
        Self {
            number,
            section,
            level,
            says,
            run,
        }
    }

    /// Whether it judges what the others saw, and so comes last.
    pub(super) fn looks_back(&self) -> bool {
        matches!(self.run, Run::LookBack(_))
    }

    /// Finds out.
    #[must_use]
    pub fn verdict(&self, target: &Target) -> Verdict {
        match self.run {
            Run::Ask(ask) | Run::LookBack(ask) => ask(target).into(),
            Run::Unseen(why) => Verdict::NotOffered(why.to_owned()),
        }
    }
}
