//! `CHANCERY_SECTION__KEY=value` over the file's table.

use toml::{Table, Value};

use super::ConfigError;

const PREFIX: &str = "CHANCERY_";

/// Variables that are ours and no configuration: they steer tests and tools.
const NOT_CONFIGURATION: [&str; 5] = [
    "CHANCERY_TOOLS",
    "CHANCERY_SKIPS",
    "CHANCERY_LONG",
    "CHANCERY_FAILPOINT",
    "CHANCERY_LOG",
];

/// Sets every key that the environment names. A name without `__` is no key of ours to read.
pub(super) fn apply(
    table: &mut Table,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    for (name, value) in environment {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if NOT_CONFIGURATION.contains(&name.as_str()) {
            continue;
        }
        let lower = path.to_ascii_lowercase();
        let segments: Vec<&str> = lower.split("__").collect();
        if segments.len() < 2 || segments.iter().any(|segment| segment.is_empty()) {
            let message = "it should look like CHANCERY_LISTEN__PUBLIC".to_owned();
            return Err(ConfigError::Environment { name, message });
        }
        set(table, &segments, typed(&value)).map_err(|message| ConfigError::Environment {
            name: name.clone(),
            message,
        })?;
    }
    Ok(())
}

fn set(table: &mut Table, segments: &[&str], value: Value) -> Result<(), String> {
    match segments {
        [] => Ok(()),
        [key] => {
            table.insert((*key).to_owned(), value);
            Ok(())
        }
        [section, rest @ ..] => {
            let entry = table
                .entry((*section).to_owned())
                .or_insert_with(|| Value::Table(Table::new()));
            match entry {
                Value::Table(inner) => set(inner, rest, value),
                _ => Err(format!("{section} is no section")),
            }
        }
    }
}

fn typed(text: &str) -> Value {
    match text {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        _ => text
            .parse()
            .map_or_else(|_| Value::String(text.to_owned()), Value::Integer),
    }
}
