//! What a policy says of itself and asks for.
