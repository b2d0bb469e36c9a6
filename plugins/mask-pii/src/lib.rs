//! A guard that masks e-mail addresses and card numbers in requests.
