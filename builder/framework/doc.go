// Package framework finds out how a project is built: its framework, package
// manager, Node version, commands and output folder. It only reads; whatever
// it reads may be hostile.
package framework
