"""What is installed and what is published: `make install`, and the files of each crate."""
