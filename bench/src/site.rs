use std::net::SocketAddr;

use chancery_simulate::{Dns, Tokens, WebHost, Zone};

use crate::error::BenchError;

/// The names that are certified: a DNS server in which every name exists and has the address of the web server, and
/// the web server with the http-01 answers. Both end when this is dropped.
#[derive(Debug)]
pub(crate) struct Site {
    web: WebHost,
    dns: Dns,
}

impl Site {
    /// Starts both; port 0 picks a free one.
    ///
    /// # Errors
    /// [`BenchError::Site`]
    pub(crate) async fn start(web: SocketAddr, dns: SocketAddr) -> Result<Self, BenchError> {
        let web = WebHost::start(web, Tokens::new()).await?;
        let zone = Zone::new();
        zone.set_default_a(web.addr().ip());
        let dns = Dns::start(dns, zone).await?;
        Ok(Self { web, dns })
    }

    /// Where http-01 answers are.
    pub(crate) fn web(&self) -> SocketAddr {
        self.web.addr()
    }

    /// Where names are resolved.
    pub(crate) fn dns(&self) -> SocketAddr {
        self.dns.addr()
    }

    /// The http-01 answers.
    pub(crate) fn tokens(&self) -> &Tokens {
        self.web.tokens()
    }
}
