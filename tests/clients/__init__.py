"""Real clients: curl, wget, git, pip, Chromium, and a mirror of a real tree of thousands of files."""
