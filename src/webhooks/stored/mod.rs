//! The webhook slice's records as stores keep them, one file per record or part of one.

mod attempt;
mod attempt_error;
mod auth;
mod defaults;
mod header;
mod health;
mod origin;
mod replay;
mod retry;
mod status;
mod webhook;
