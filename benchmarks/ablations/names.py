"""The names of the tables, in the order in which they are made."""

TABLES = (
    "parts",
    "threshold",
    "recorder",
    "recorder-steps",
    "think",
    "steps",
    "guidance",
    "wording",
    "unaffected",
    "failures",
    "helps",
)
