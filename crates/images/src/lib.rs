//! Finds, decodes and preprocesses images and their labels.
