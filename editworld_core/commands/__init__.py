"""What each command of the command line takes and does, one module a group; see ``cli``."""
