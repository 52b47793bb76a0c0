package install

// Push is for the tests of the package from outside.
var Push = push
