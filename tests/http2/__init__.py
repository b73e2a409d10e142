"""HTTP/2 as RFC 9113 and RFC 7541 have it: by an independent client, case by case; attacks; the same answers as HTTP/1; real clients."""
