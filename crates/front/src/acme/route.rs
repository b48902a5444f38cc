//! Paths, matched by whole segments (failures B12): no prefixes, no decoding, nothing but the canonical form.

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/.well-known/acme`
    WellKnown,
    /// `/acme/directory`
    DefaultDirectory,
    /// `/acme/{gateway}/…`
    Gateway(&'a str, Resource<'a>),
}

/// A resource of a gateway. The words in the variants are the unguessable parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    Directory,
    NewNonce,
    NewAccount,
    NewOrder,
    NewAuthorization,
    /// When a certificate should be renewed, by its certID.
    RenewalInfo(&'a str),
    RevokeCert,
    KeyChange,
    Account(&'a str),
    /// All orders of an account, from the newest on.
    Orders(&'a str),
    /// Those below an order.
    OrdersBelow(&'a str, &'a str),
    /// A page about what is limited.
    Limits,
    /// Where a person agrees to changed terms.
    Terms(&'a str),
    Order(&'a str),
    Finalize(&'a str),
    Authorization(&'a str),
    Challenge(&'a str),
    Certificate(&'a str),
}

impl<'a> Route<'a> {
    /// Reads a path; `None` for whatever is not one of ours.
    pub(crate) fn parse(path: &'a str) -> Option<Self> {
        let mut segments = [""; 5];
        let mut count = 0;
        for segment in path.strip_prefix('/')?.split('/') {
            if segment.is_empty() {
                return None;
            }
            *segments.get_mut(count)? = segment;
            count += 1;
        }
        match segments.get(..count)? {
            [".well-known", "acme"] => Some(Self::WellKnown),
            ["acme", "directory"] => Some(Self::DefaultDirectory),
            ["acme", gateway, rest @ ..] => Some(Self::Gateway(gateway, Resource::parse(rest)?)),
            _ => None,
        }
    }
}

impl<'a> Resource<'a> {
    fn parse(segments: &[&'a str]) -> Option<Self> {
        Some(match segments {
            ["directory"] => Self::Directory,
            ["new-nonce"] => Self::NewNonce,
            ["new-account"] => Self::NewAccount,
            ["new-order"] => Self::NewOrder,
            ["new-authz"] => Self::NewAuthorization,
            ["renewal-info", id] => Self::RenewalInfo(id),
            ["limits"] => Self::Limits,
            ["revoke-cert"] => Self::RevokeCert,
            ["key-change"] => Self::KeyChange,
            ["account", id] => Self::Account(id),
            ["orders", account] => Self::Orders(account),
            ["orders", account, below] => Self::OrdersBelow(account, below),
            ["terms", account] => Self::Terms(account),
            ["order", id] => Self::Order(id),
            ["order", id, "finalize"] => Self::Finalize(id),
            ["authz", id] => Self::Authorization(id),
            ["challenge", id] => Self::Challenge(id),
            ["cert", id] => Self::Certificate(id),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b12_only_the_canonical_form_of_a_path_is_known() {
        assert_eq!(
            Route::parse("/acme/server/order/abc/finalize"),
            Some(Route::Gateway("server", Resource::Finalize("abc")))
        );
        assert_eq!(
            Route::parse("/acme/directory"),
            Some(Route::DefaultDirectory)
        );
        for odd in [
            "",
            "/",
            "acme/directory",
            "//acme/directory",
            "/acme//directory",
            "/acme/directory/",
            "/acme/server/order/abc/finalize/x",
            "/acme/server/order//abc",
            "/ACME/directory",
            "/acme/server/../server/order/abc/finalize",
            "/acme/server/unknown",
        ] {
            assert_eq!(Route::parse(odd), None, "{odd}");
        }
    }
}
