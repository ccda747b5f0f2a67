"""Changes pixels: transfer syntaxes and black rectangles, with codecs in processes of their own."""
