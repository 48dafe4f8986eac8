"""The names of the tables, in the order in which they are made."""

TABLES = (
    "parts",
    "parts-elsewhere",
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
