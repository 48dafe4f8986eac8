"""One module a category, and one for what can happen to any photograph. Importing this package registers them all."""

from editworld_core.simulation.dynamics import (  # noqa: F401
    exaggeration,
    implicit_logic,
    long_term,
    photo,
    physical,
    spatial,
    story,
    virtual,
)
