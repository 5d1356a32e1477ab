"""The neighbours that tangent planes are made of, found once."""
