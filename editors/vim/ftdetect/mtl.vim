autocmd BufRead,BufNewFile *.mtl setfiletype mtl
