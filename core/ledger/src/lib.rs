//! Principals, keys, budgets, limits, reservations and postings over SQLite.
