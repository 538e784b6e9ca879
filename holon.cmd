@echo off
node "%~dp0scripts\holon.mjs" %*
