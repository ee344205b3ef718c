"""Claims: what a paper says, decided by the tables of the studies that were run."""
