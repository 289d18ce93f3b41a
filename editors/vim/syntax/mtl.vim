" Models of mtlc.  A name that is followed by a colon is an argument or a field, whatever else it may mean.
if exists('b:current_syntax')
  finish
endif

syntax keyword mtlDeclaration model use const features per embed rows event class value of label independent given layer train
syntax keyword mtlDefinition shared experts gate tower let weights return loss weight output
syntax keyword mtlControl for in if else scan along
syntax keyword mtlSide request candidate
syntax keyword mtlKind id ids real seq cross
syntax match mtlField /\<[a-z_][A-Za-z0-9_]*\ze\s*:/
syntax match mtlCall /\<[A-Za-z_][A-Za-z0-9_]*\ze(/
syntax match mtlProbability /\<[PE]\>\ze\s*[(\[]/
syntax match mtlNumber /\<\d[0-9_]*\(\.\d[0-9_]*\)\?\([eE][-+]\?\d\+\)\?\>/
syntax match mtlOperator /->\|\.\.\|[=<>!]=\?\|[-+*\/^&|]/
syntax region mtlText start=/"/ skip=/\\./ end=/"/ oneline
syntax match mtlComment /#.*$/ contains=@Spell

highlight default link mtlDeclaration Keyword
highlight default link mtlDefinition Statement
highlight default link mtlControl Conditional
highlight default link mtlSide Type
highlight default link mtlKind Type
highlight default link mtlField Identifier
highlight default link mtlCall Function
highlight default link mtlProbability Special
highlight default link mtlNumber Number
highlight default link mtlOperator Operator
highlight default link mtlText String
highlight default link mtlComment Comment

setlocal commentstring=#\ %s
let b:current_syntax = 'mtl'
