"""The sections of the report, in the order in which they are read: each module turns a run folder
into one frozen record of plain words, numbers and charts, and templates only lay it out."""
