//! `chancery eab`: external account bindings (RFC 8555 §7.3.4), with the words to paste into clients.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use crate::config::parse_span;
use crate::operator::{ask, cell, every, get, plain, show, text};
use crate::{Exit, Server, say};

/// How long a binding makes accounts where nothing else is said. It is meant to be pasted soon.
const VALID_FOR: &str = "7d";

#[derive(Debug, Subcommand)]
pub(crate) enum EabVerb {
    /// Make a binding and print its key identifier and MAC key, which is never shown again
    Create(Create),
    /// List bindings, oldest first
    List(Server),
    /// Show one binding, without its key
    Show {
        /// Its key identifier, from `eab list`
        kid: String,
        #[command(flatten)]
        server: Server,
    },
    /// Take a binding back: it makes no more accounts, and those that it made order nothing more; without --yes, say what
    /// would be done
    Revoke {
        /// Its key identifier, from `eab list`
        kid: String,
        /// Do it
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The gateway it is for
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// It makes one account only
    #[arg(long, conflicts_with = "accounts")]
    single_use: bool,
    /// It makes at most so many accounts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    accounts: Option<u32>,
    /// Its accounts get at most so many certificates; renewals that name what they replace are not counted
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    certificates: Option<u32>,
    /// Names its accounts may ask for: host.example.org, *.example.org, 10.0.0.0/8, or * for all that the gateway allows;
    /// may be given again
    #[arg(long = "name", value_name = "PATTERN", default_value = "*")]
    names: Vec<String>,
    /// Profiles its accounts may ask for; may be given again; without it, all of the gateway
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// Challenges its accounts may answer; may be given again; without it, all of the gateway
    #[arg(long = "challenge", value_name = "KIND")]
    challenges: Vec<String>,
    /// How long it makes accounts: 12h, 7d, or never for no end. Accounts that it made go on
    #[arg(long, value_name = "SPAN", default_value = VALID_FOR)]
    valid_for: String,
    /// For whom it is, in your words
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    server: Server,
}

pub(crate) fn run(verb: EabVerb) -> Result<(), Exit> {
    match verb {
        EabVerb::Create(create) => create.run(),
        EabVerb::List(server) => {
            let columns = [
                "kid",
                "status",
                "gateway",
                "accounts",
                "accounts_max",
                "usable_until",
                "names",
                "note",
            ];
            every(&server, "/api/v1/bindings", "", &columns)
        }
        EabVerb::Show { kid, server } => {
            let told = get(&server, &format!("/api/v1/bindings/{}", plain(&kid)?))?;
            show(&server, &told);
            Ok(())
        }
        EabVerb::Revoke { kid, yes, server } => revoke(&server, plain(&kid)?, yes),
    }
}

impl Create {
    fn run(self) -> Result<(), Exit> {
        let listed = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        let accounts_max = if self.single_use {
            Some(1)
        } else {
            self.accounts
        };
        let asked = json!({
            "gateway": self.gateway,
            "note": self.note,
            "usable_secs": self.usable_secs()?,
            "names": self.names,
            "profiles": listed(&self.profiles),
            "challenges": listed(&self.challenges),
            "accounts_max": accounts_max,
            "certificates_max": self.certificates,
        });
        let path = "/api/v1/bindings";
        let told = ask(&self.server, Method::POST, path, asked.to_string())?;
        if self.server.json {
            say(&told);
        } else {
            explain(&self.server, &told);
        }
        Ok(())
    }

    fn usable_secs(&self) -> Result<Option<u32>, Exit> {
        if self.valid_for == "never" {
            return Ok(None);
        }
        let secs = parse_span(&self.valid_for).and_then(|secs| u32::try_from(secs).ok());
        secs.map(Some).ok_or_else(|| {
            Exit::usage(format!(
                "--valid-for {:?} is no span of time such as 12h or 7d, nor never",
                self.valid_for
            ))
        })
    }
}

fn revoke(server: &Server, kid: &str, yes: bool) -> Result<(), Exit> {
    let path = format!("/api/v1/bindings/{kid}");
    if !yes {
        let told = get(server, &path)?;
        say(format_args!(
            "would revoke binding {} of gateway {} ({}): it makes no more accounts, and the {} that it made can order \
             nothing more; their certificates stay valid; say --yes to do it",
            text(&told["kid"]),
            text(&told["gateway"]),
            text(&told["status"]),
            told["accounts"]
        ));
        return Ok(());
    }
    let told = ask(
        server,
        Method::POST,
        &format!("{path}/revoke"),
        String::new(),
    )?;
    if server.json {
        say(&told);
    } else {
        say(format_args!(
            "revoked {} at {}",
            text(&told["kid"]),
            text(&told["revoked_at"])
        ));
    }
    Ok(())
}

/// What was made, and what to paste where.
fn explain(server: &Server, told: &Value) {
    let [kid, key, directory] = ["kid", "hmac_key", "directory"].map(|name| text(&told[name]));
    let all = |value: &Value, none: &str| match value {
        Value::Null => none.to_owned(),
        value => cell(value),
    };
    say(format_args!("kid:          {kid}"));
    say(format_args!("hmac_key:     {key}   (shown this once)"));
    say(format_args!("directory:    {directory}"));
    say(format_args!("names:        {}", cell(&told["names"])));
    let profiles = all(&told["profiles"], "all of the gateway");
    say(format_args!("profiles:     {profiles}"));
    let challenges = all(&told["challenges"], "all of the gateway");
    say(format_args!("challenges:   {challenges}"));
    let accounts = all(&told["accounts_max"], "any number");
    say(format_args!("accounts:     {accounts}"));
    let certificates = all(&told["certificates_max"], "any number");
    say(format_args!("certificates: {certificates}"));
    let end = all(&told["usable_until"], "it is revoked");
    say(format_args!("makes accounts until {end}"));
    let root = server.data.join("root.pem");
    say(format_args!(
        "\nClients must trust this authority: copy {} to them, here as root.pem.",
        root.display()
    ));
    say(format_args!(
        "\ncertbot:\n  REQUESTS_CA_BUNDLE=root.pem certbot certonly --server {directory} \\\n    --eab-kid {kid} --eab-hmac-key {key} \\\n    --standalone -d HOST"
    ));
    say(format_args!(
        "\nlego:\n  LEGO_CA_CERTIFICATES=root.pem lego --server {directory} \\\n    --eab --kid {kid} --hmac {key} \\\n    --accept-tos --email MAIL --http --domains HOST run"
    ));
    say(format_args!(
        "\ncert-manager:\nkubectl -n cert-manager create secret generic chancery-eab --from-literal=key={key}\nkubectl apply -f - <<END"
    ));
    say(cluster_issuer(&kid, &directory));
}

/// Without indentation, so that the end of the document is found.
fn cluster_issuer(kid: &str, directory: &str) -> String {
    format!(
        "apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata:
  name: chancery
spec:
  acme:
    server: {directory}
    caBundle: $(base64 -w0 root.pem)
    externalAccountBinding:
      keyID: {kid}
      keySecretRef: {{ name: chancery-eab, key: key }}
    privateKeySecretRef: {{ name: chancery-account }}
    solvers:
    - http01: {{ ingress: {{}} }}
END"
    )
}
