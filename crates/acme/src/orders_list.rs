use serde::{Deserialize, Serialize};

/// A page of an account's orders (RFC 8555 §7.1.2.1). Where there are more, the answer links to them as `next`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdersList {
    /// URLs of orders.
    pub orders: Vec<String>,
}
