"""Surface normals on NYU v2 (paper section 7, "future work")."""
