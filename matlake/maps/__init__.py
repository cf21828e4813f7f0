"""Maps: embeddings in two dimensions, coloured by a property, as a page that needs no server."""
