//! JSON Schemas as each dialect takes them.
