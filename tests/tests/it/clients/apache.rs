//! Apache's mod_md, Debian's: a web server that gets and renews what it needs, and uses it from its next restart on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use chancery_testkit::process::Program;
use chancery_testkit::require;
use chancery_tests::{Authority, eventually};

use super::{
    P256, RSA_2048, WITHIN, is_a_good_chain_for, served_after, short_lived, short_lived_directory,
    succeed, text_of,
};

/// Where Debian's package has its modules.
const MODULES: &str = "/usr/lib/apache2/modules";

/// A running Apache, and the authority that it is used with.
struct Apache {
    /// Dropping it ends every process of it.
    server: Program,
    configuration: PathBuf,
    authority: Authority,
}

impl Apache {
    /// `more` is more of the configuration.
    fn start(more: &str) -> Option<Self> {
        let program = require("apache2")?;
        let authority = Authority::start_with(short_lived());
        let folder = authority.scratch("apache");
        fs::create_dir(&folder).expect("a folder");
        // Its processes that do the work are another user's, who must get to the root and the answers of http-01.
        let whole = folder.parent().expect("the test's folder");
        fs::set_permissions(whole, PermissionsExt::from_mode(0o711)).expect("ours");
        fs::copy(authority.root(), folder.join("root.pem")).expect("the root");
        fs::set_permissions(folder.join("root.pem"), PermissionsExt::from_mode(0o644))
            .expect("ours");
        let configuration = folder.join("httpd.conf");
        let text = configuration_of(&authority, &folder, more);
        fs::write(&configuration, text).expect("a configuration");
        let mut command = Command::new(program);
        command.arg("-f").arg(&configuration).arg("-DFOREGROUND");
        Some(Self {
            server: Program::spawn(command).expect("it starts"),
            configuration,
            authority,
        })
    }

    /// What it has got and does not use yet is kept in a folder of this name.
    fn wait_until_staged(&self) {
        let staging = self.configuration.with_file_name("md/staging/a.test");
        let job = staging.join("job.json");
        eventually("it got a certificate", WITHIN, || {
            let text = fs::read_to_string(&job).ok()?;
            let job: serde_json::Value = serde_json::from_str(&text).ok()?;
            (job["finished"] == true).then_some(())
        });
    }

    /// A graceful restart, as its package's timer does.
    fn reload(&self) {
        let pid = text_of(self.configuration.with_file_name("httpd.pid"));
        let mut kill = Command::new("kill");
        kill.args(["-USR1", pid.trim()]);
        succeed(kill);
    }
}

fn configuration_of(authority: &Authority, folder: &Path, more: &str) -> String {
    let (http, tls) = (authority.http_port(), authority.tls_port());
    let modules = ["mpm_event", "authz_core", "ssl", "socache_shmcb", "md"];
    let modules = modules.map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"));
    let site = "ServerName a.test\nServerAlias www.a.test\n";
    format!(
        "ServerRoot {folder}\nPidFile {folder}/httpd.pid\nDefaultRuntimeDir {folder}\n\
         Mutex file:{folder} default\nErrorLog /dev/stderr\nLogLevel warn md:info\n\
         Listen 127.0.0.1:{http}\nListen 127.0.0.1:{tls} https\n{modules}\
         User nobody\nGroup nogroup\nServerName a.test\nDocumentRoot {folder}\n\
         MDStoreDir {folder}/md\nMDCertificateAuthority {directory}\nMDCACertificateFile {folder}/root.pem\n\
         MDCertificateAgreement accepted\nMDContactEmail admin@a.test\n\
         MDPortMap http:{http} https:{tls}\nMDCAChallenges http-01\nMDCheckInterval 1s\n\
         MDomain a.test www.a.test\n{more}\n\
         <VirtualHost *:{http}>\n{site}</VirtualHost>\n\
         <VirtualHost *:{tls}>\n{site}SSLEngine on\n</VirtualHost>\n",
        folder = folder.display(),
        modules = modules.concat(),
        directory = short_lived_directory(authority),
    )
}

fn gets_and_renews(more: &str, kind: &str) {
    let Some(apache) = Apache::start(more) else {
        return;
    };
    let (authority, port) = (&apache.authority, apache.authority.tls_port());
    let mut before = String::new();
    for _ in 0..2 {
        apache.wait_until_staged();
        apache.reload();
        before = served_after(authority, port, "www.a.test", &before);
        is_a_good_chain_for(authority, kind, &before, &["a.test", "www.a.test"]);
    }
    apache.server.terminate().expect("it ends");
    authority.check_invariants();
}

/// The second certificate comes when a third of the first one's life is left, six seconds after that.
#[test]
fn apache_serves_what_it_got_by_itself_and_renews_it_in_time() {
    gets_and_renews("MDPrivateKeys RSA 2048", RSA_2048);
}

#[test]
fn apache_serves_and_renews_ecdsa_too() {
    gets_and_renews("MDPrivateKeys P-256", P256);
}
