"""Where candidates are evaluated: processes of this machine, or a Dask cluster."""
