"""Operations: restore, undo, redo, and what may go wrong around them."""
