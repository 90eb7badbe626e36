"""One small file a command: parse, call one function, print a summary."""
