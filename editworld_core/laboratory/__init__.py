"""The attention of an edit, opened word by word: maps, masks, segments, and two instructions side by side."""
