"""Background work: a thin file per job."""
