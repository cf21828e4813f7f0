"""The Python face: a lake and its heads, with methods in the words of the command line."""
