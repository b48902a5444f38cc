//! Apache's mod_md, Debian's: a web server that gets and renews what it needs, and uses it from its next restart on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use chancery_testkit::require;
use chancery_tests::hooks::Hooks;
use chancery_tests::{Authority, Setup, eventually, script};

use super::{
    P256, RSA_2048, Unattended, WITHIN, is_a_good_chain_for, served_after, short_lived,
    short_lived_directory, succeed, text_of,
};

/// Where Debian's package has its modules.
const MODULES: &str = "/usr/lib/apache2/modules";

/// A running Apache, and the authority that it is used with.
pub(super) struct Apache {
    /// Dropping it ends every process of it.
    server: Unattended,
    folder: PathBuf,
    _hooks: Hooks,
    pub(super) authority: Authority,
}

impl Apache {
    /// For these names, of which the first is no wildcard; `more` is more of the configuration.
    pub(super) fn start(
        setup: Setup,
        names: &[&str],
        more: impl FnOnce(&Authority) -> String,
    ) -> Option<Self> {
        let program = require("apache2")?;
        let authority = Authority::start_with(setup);
        let hooks = Hooks::open(authority.site());
        let folder = authority.scratch("apache");
        fs::create_dir(&folder).expect("a folder");
        // Its processes that do the work are another user's, who must get to root, hook and the answers of http-01.
        let whole = folder.parent().expect("the test's folder");
        open_to_all(whole, 0o711);
        fs::copy(authority.root(), folder.join("root.pem")).expect("the root");
        open_to_all(&folder.join("root.pem"), 0o644);
        fs::copy(script("apache_hook.sh"), folder.join("hook")).expect("the hook");
        open_to_all(&folder.join("hook"), 0o755);
        let text = configuration(&authority, &folder, names)
            + &format!(
                "MDChallengeDns01 {}/hook {}\n",
                folder.display(),
                hooks.port()
            )
            + &more(&authority);
        fs::write(folder.join("httpd.conf"), text).expect("a configuration");
        let mut command = Command::new(program);
        command.arg("-f").arg(folder.join("httpd.conf"));
        command.arg("-DFOREGROUND");
        Some(Self {
            server: Unattended::start(command),
            folder,
            _hooks: hooks,
            authority,
        })
    }

    /// What it has got and does not use yet is kept in a folder of this name.
    pub(super) fn wait_until_staged(&self) {
        let job = self.folder.join("md/staging/a.test/job.json");
        eventually("it got a certificate", WITHIN, || {
            let text = fs::read_to_string(&job).ok()?;
            let job: serde_json::Value = serde_json::from_str(&text).ok()?;
            (job["finished"] == true).then_some(())
        });
    }

    /// A graceful restart, as its package's timer does.
    pub(super) fn reload(&self) {
        let pid = text_of(self.folder.join("httpd.pid"));
        let mut kill = Command::new("kill");
        kill.args(["-USR1", pid.trim()]);
        succeed(kill);
    }
}

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours");
}

fn configuration(authority: &Authority, folder: &Path, names: &[&str]) -> String {
    let (http, tls) = (authority.http_port(), authority.tls_port());
    let modules = ["mpm_event", "authz_core", "ssl", "socache_shmcb", "md"];
    let modules = modules.map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"));
    let (first, others) = names.split_first().expect("a name");
    let site = format!("ServerName {first}\nServerAlias {}\n", others.join(" "));
    format!(
        "ServerRoot {folder}\nPidFile {folder}/httpd.pid\nDefaultRuntimeDir {folder}\n\
         Mutex file:{folder} default\nErrorLog /dev/stderr\nLogLevel warn md:info\n\
         Listen 127.0.0.1:{http}\nListen 127.0.0.1:{tls} https\n{modules}\
         User nobody\nGroup nogroup\nServerName {first}\nDocumentRoot {folder}\n\
         MDStoreDir {folder}/md\nMDCertificateAuthority {directory}\n\
         MDCACertificateFile {folder}/root.pem\n\
         MDCertificateAgreement accepted\nMDContactEmail admin@a.test\n\
         MDPortMap http:{http} https:{tls}\nMDCheckInterval 1s\nMDomain {names}\n\
         <VirtualHost *:{http}>\n{site}</VirtualHost>\n\
         <VirtualHost *:{tls}>\n{site}SSLEngine on\n</VirtualHost>\n",
        folder = folder.display(),
        modules = modules.concat(),
        directory = short_lived_directory(authority),
        names = names.join(" "),
    )
}

/// Two certificates, of which the second comes when a third of the first one's life is left, six seconds after that.
pub(super) fn gets_and_renews(
    setup: Setup,
    names: &[&str],
    kind: &str,
    more: impl FnOnce(&Authority) -> String,
) {
    let Some(apache) = Apache::start(setup, names, more) else {
        return;
    };
    let (authority, port) = (&apache.authority, apache.authority.tls_port());
    let mut before = String::new();
    for _ in 0..2 {
        apache.wait_until_staged();
        apache.reload();
        before = served_after(authority, port, "www.a.test", &before);
        is_a_good_chain_for(authority, kind, &before, names);
    }
    apache.server.0.terminate().expect("it ends");
    authority.check_invariants();
}

#[test]
fn apache_serves_what_it_got_by_itself_and_renews_it_in_time() {
    let more = "MDCAChallenges http-01\nMDPrivateKeys RSA 2048\n";
    gets_and_renews(short_lived(), &["a.test", "www.a.test"], RSA_2048, |_| {
        more.to_owned()
    });
}

#[test]
fn apache_serves_and_renews_a_wildcard_by_dns_01() {
    let more = "MDCAChallenges dns-01\nMDChallengeDns01Version 2\nMDPrivateKeys P-256\n";
    gets_and_renews(short_lived(), &["a.test", "*.a.test"], P256, |_| {
        more.to_owned()
    });
}
