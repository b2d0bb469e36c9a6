//! The gateway driven over its sockets.
