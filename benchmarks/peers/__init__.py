"""The same training written for each library, in its fastest idiomatic form."""
