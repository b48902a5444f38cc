mod faults;
mod issuing;
mod making;
mod random;
pub(crate) mod world;
