"""The command `trovid`: one file a command."""
