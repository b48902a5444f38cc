//! What can happen, and how it is drawn.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::proof::FailureKind;

/// One event. A number picks one of what is there.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Register,
    Place {
        account: usize,
        names: u8,
    },
    Respond {
        authorization: usize,
        challenge: u8,
    },
    Find {
        authorization: usize,
        challenge: u8,
        finding: Found,
        order: Whose,
    },
    GiveUp {
        authorization: usize,
        order: Whose,
    },
    Finalize {
        order: usize,
        csr: Asked,
        shown: Shown,
    },
    /// Whatever comes next on the order's way, as a well-behaved client, validator and signer would have it.
    Advance {
        order: usize,
    },
    /// The signer journals the order's claim and a signature; nobody has recorded it yet.
    Sign {
        order: usize,
    },
    /// The signature of an intent arrives, perhaps again, perhaps late.
    Record {
        intent: usize,
    },
    /// The signer refuses the order's claim.
    Void {
        order: usize,
    },
    Cancel {
        order: usize,
    },
    Revoke {
        certificate: usize,
        reason: u8,
    },
    Contact {
        account: usize,
    },
    DeactivateAccount {
        account: usize,
    },
    Pass {
        secs: i64,
    },
    /// The process ends, and begins again.
    Crash,
    /// The process ends after the signer's intent for the order and before its signature.
    CrashUnsigned {
        order: usize,
    },
    /// A copy of the store is put aside.
    Copy,
    /// A copy is put back.
    Restore {
        copy: usize,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    Proved,
    Failed(FailureKind),
}

/// Which order the caller loaded for an authorization.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    Own,
    Other(usize),
}

/// Which names a CSR has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    TheOrders,
    OneMore,
    OneLess,
}

/// Which authorizations the caller shows with a finalize.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    TheOrders,
    Everybodys,
    None,
}

fn pick() -> impl Strategy<Value = usize> {
    0..64_usize
}

fn found() -> impl Strategy<Value = Found> {
    prop_oneof![
        4 => Just(Found::Proved),
        1 => Just(Found::Failed(FailureKind::Connection)),
        1 => Just(Found::Failed(FailureKind::Unauthorized)),
    ]
}

fn whose() -> impl Strategy<Value = Whose> {
    prop_oneof![5 => Just(Whose::Own), 1 => pick().prop_map(Whose::Other)]
}

fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![6 => Just(Asked::TheOrders), 1 => Just(Asked::OneMore), 1 => Just(Asked::OneLess)]
}

fn shown() -> impl Strategy<Value = Shown> {
    prop_oneof![6 => Just(Shown::TheOrders), 2 => Just(Shown::Everybodys), 1 => Just(Shown::None)]
}

/// What two actors may want at the same moment.
pub(super) fn contested() -> impl Strategy<Value = Op> {
    // Few objects, so that they meet.
    let few = || 0..3_usize;
    prop_oneof![
        4 => (few(), 0..2_u8)
            .prop_map(|(authorization, challenge)| Op::Respond { authorization, challenge }),
        6 => (few(), 0..2_u8, found(), whose()).prop_map(
            |(authorization, challenge, finding, order)| Op::Find {
                authorization, challenge, finding, order,
            }
        ),
        1 => (few(), whose())
            .prop_map(|(authorization, order)| Op::GiveUp { authorization, order }),
        6 => (few(), asked(), shown())
            .prop_map(|(order, csr, shown)| Op::Finalize { order, csr, shown }),
        6 => few().prop_map(|intent| Op::Record { intent }),
        1 => few().prop_map(|order| Op::Void { order }),
        1 => few().prop_map(|order| Op::Cancel { order }),
        3 => (few(), 0..3_u8)
            .prop_map(|(certificate, reason)| Op::Revoke { certificate, reason }),
        1 => few().prop_map(|account| Op::Contact { account }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let secs = prop_oneof![
        12 => 0..120_i64,
        2 => Just(3600),
        1 => Just(6 * 24 * 3600),
    ];
    prop_oneof![
        4 => Just(Op::Register),
        6 => (pick(), 1..16_u8).prop_map(|(account, names)| Op::Place { account, names }),
        120 => pick().prop_map(|order| Op::Advance { order }),
        20 => contested(),
        1 => pick().prop_map(|account| Op::DeactivateAccount { account }),
        3 => secs.prop_map(|secs| Op::Pass { secs }),
        1 => Just(Op::Crash),
        3 => pick().prop_map(|order| Op::CrashUnsigned { order }),
        4 => Just(Op::Copy),
        2 => pick().prop_map(|copy| Op::Restore { copy }),
    ]
}

pub(super) fn ops(max: usize) -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 0..max)
}
