"""HTTPS with real clients and tools: testssl.sh, curl, Chromium, a private ACME authority; reloads and the local authority."""
