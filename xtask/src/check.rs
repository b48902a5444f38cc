//! `cargo xtask check`: every step with its time, all of them even when one fails.

use std::time::Instant;

use crate::error::Error;
use crate::process;
use crate::workspace::Workspace;
use crate::{layers, sources, supply};

/// One step: its name on the command line and what it does.
struct Step {
    name: &'static str,
    run: fn(&Workspace) -> Result<Outcome, Error>,
}

/// How a step ended.
enum Outcome {
    /// It holds; the notes are for reading.
    Holds { notes: Vec<String> },
    /// The step's own output, or these lines, say what does not hold.
    Broken { findings: Vec<String> },
    /// It could not be asked here.
    Absent { reason: &'static str },
}

/// Quick ones first: what is broken shows before clippy has compiled anything.
const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        run: fmt,
    },
    Step {
        name: "layers",
        run: |workspace| layers::check(workspace).map(outcome),
    },
    Step {
        name: "sources",
        run: |workspace| sources::check(workspace).map(outcome),
    },
    Step {
        name: "supply",
        run: supply,
    },
    Step {
        name: "deny",
        run: deny,
    },
    Step {
        name: "clippy",
        run: clippy,
    },
];

/// Whether a step of this name exists.
pub(crate) fn is_step(name: &str) -> bool {
    STEPS.iter().any(|step| step.name == name)
}

/// The names of all steps, for messages.
pub(crate) fn step_names() -> String {
    STEPS
        .iter()
        .map(|step| step.name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Runs the steps, or only the named ones; `true` if all hold.
pub(crate) fn run(workspace: &Workspace, only: &[String]) -> Result<bool, Error> {
    let mut broken = Vec::new();
    for step in STEPS
        .iter()
        .filter(|step| only.is_empty() || only.iter().any(|n| n == step.name))
    {
        if !run_step(workspace, step) {
            broken.push(step.name);
        }
    }
    match broken.as_slice() {
        [] => println!("check: everything holds"),
        names => println!("check: {} did not hold", names.join(", ")),
    }
    Ok(broken.is_empty())
}

fn run_step(workspace: &Workspace, step: &Step) -> bool {
    let started = Instant::now();
    let outcome = (step.run)(workspace);
    let seconds = started.elapsed().as_secs_f64();
    let (word, lines, holds) = match outcome {
        Ok(Outcome::Holds { notes }) => ("ok", notes, true),
        Ok(Outcome::Broken { findings }) => ("BROKEN", findings, false),
        Ok(Outcome::Absent { reason }) => (reason, Vec::new(), true),
        Err(error) => ("BROKEN", vec![error.to_string()], false),
    };
    println!("{:<8} {seconds:>6.1} s  {word}", step.name);
    for line in lines {
        println!("    {line}");
    }
    holds
}

fn outcome(findings: Vec<String>) -> Outcome {
    if findings.is_empty() {
        Outcome::Holds { notes: Vec::new() }
    } else {
        Outcome::Broken { findings }
    }
}

fn fmt(workspace: &Workspace) -> Result<Outcome, Error> {
    // -l: only the names of the files; `cargo fmt --all` does the rest.
    let arguments = ["fmt", "--all", "--check", "--", "-l"];
    cargo_says(workspace, &arguments, "run `cargo fmt --all`")
}

fn clippy(workspace: &Workspace) -> Result<Outcome, Error> {
    // The profile of the tests, so that what both need is built once.
    let arguments = [
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--release",
        "--",
    ];
    let arguments = [arguments.as_slice(), &["-D", "warnings"]].concat();
    cargo_says(workspace, &arguments, "see above")
}

fn cargo_says(workspace: &Workspace, arguments: &[&str], advice: &str) -> Result<Outcome, Error> {
    let component = arguments.first().copied().unwrap_or_default();
    if !process::succeeds_silently(&mut workspace.cargo([component, "--version"])) {
        let advice = format!("cargo {component} is missing; `rustup component add` brings it");
        return Ok(Outcome::Broken {
            findings: vec![advice],
        });
    }
    if process::succeeds(&mut workspace.cargo(arguments.iter().copied()))? {
        return Ok(Outcome::Holds { notes: Vec::new() });
    }
    Ok(Outcome::Broken {
        findings: vec![advice.to_owned()],
    })
}

fn supply(workspace: &Workspace) -> Result<Outcome, Error> {
    let supply = supply::check(workspace)?;
    if supply.findings.is_empty() {
        return Ok(Outcome::Holds {
            notes: supply.notes,
        });
    }
    Ok(Outcome::Broken {
        findings: supply.findings,
    })
}

/// These three checks read only what is on this machine; `advisories` would download a list and is left out.
fn deny(workspace: &Workspace) -> Result<Outcome, Error> {
    if !process::succeeds_silently(&mut workspace.cargo(["deny", "--version"])) {
        return Ok(Outcome::Absent {
            reason: "not installed; `supply` has asked the same",
        });
    }
    let arguments = ["deny", "--locked", "check", "licenses", "bans", "sources"];
    if process::succeeds(&mut workspace.cargo(arguments))? {
        return Ok(Outcome::Holds { notes: Vec::new() });
    }
    Ok(outcome(vec!["see above".to_owned()]))
}
