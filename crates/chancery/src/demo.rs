//! Placeholder.
use crate::Exit;
pub(crate) fn demo(_keep: bool) -> Result<(), Exit> { Err(Exit::failed("not yet")) }
