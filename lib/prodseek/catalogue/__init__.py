"""What is fed in: manifests, folders, tars, web servers, and the photos that they name."""
