"""The catalogue, which is the input: manifests, folders, tars, web servers, and the photos that they name."""
