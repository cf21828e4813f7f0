"""Sources by name, such as ``optimade:mp``: what the databases of the field publish, fetched when named."""
