//! Pure protocol code: strict JSON, dialects, usage, prices, SSE. No I/O, no async.
