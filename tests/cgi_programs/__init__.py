"""Programs that people run by CGI, as Debian packages them."""
